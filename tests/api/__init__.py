"""HTTP resources, through real sockets."""
