"""Sessions that share one pace and hints through Redis or Valkey."""
