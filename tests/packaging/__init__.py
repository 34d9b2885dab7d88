"""The packages that people run: the wheel, the image and the compose file, each carried out by hand without Docker."""
