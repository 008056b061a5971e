"""The chapter on handwritten digits: what is optimised, sampled or real, judged alike.

`networks` has the classifiers and the GAN of images, `training` fits the classifiers, `study` has
the steps of the chapter (the three losses, DeepChrome's recipe, bands of confidence), `judges` rate
samples, `figures` draws images, ratings and acceptance.

>>> from dc2book.mnist import study
>>> study.counterpart("sampled, > 0.99")
'real, > 0.99'
"""

RANK_MARGIN = 0.05  #: a difference in mean rank among real digits that does not matter
