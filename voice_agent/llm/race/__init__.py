"""One model made of several: asked in time, asked again, asked twice, whoever has the first useful token speaks."""
