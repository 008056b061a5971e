"""The chapter on handwritten digits: its analysis in `study`, its figures in `figures`."""
