"""Model providers: one interface, one file per wire format."""
