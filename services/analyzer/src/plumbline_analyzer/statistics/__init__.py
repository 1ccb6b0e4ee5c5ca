"""Statistics on arrays: no request, no file and no clock; items are rows that are resampled together."""
