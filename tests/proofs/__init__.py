"""What proves something over many folders: simulation, conformance, faults, journals, typing, docs, examples."""
