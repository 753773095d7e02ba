"""What the caller hears when a provider fails in mid-call."""
