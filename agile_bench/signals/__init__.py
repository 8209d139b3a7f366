"""Pure signal processing: filter, R-peaks, beats, labels, and back from a picture."""
