"""Worker processes for functions that are not trusted with the gateway's own: how they are run, ended and spoken to."""
