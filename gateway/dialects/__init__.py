"""Wire protocols without IO: frames in, user events out; turn events in, frames out."""
