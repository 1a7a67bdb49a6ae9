"""What tests share: sessions, fake exchanges and storages, an event loop in virtual time, collected spans."""
