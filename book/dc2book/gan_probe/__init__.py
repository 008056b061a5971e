"""The chapter on the GAN probe."""
