"""The chapter on the GAN probe: its analysis in `study`, its figures in `figures`."""
