"""The front door: sockets and HTTP in, sessions out."""
