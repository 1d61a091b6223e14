"""World models, to learn from: V compresses, M predicts, C acts.

A companion to the notebooks. It follows Ha & Schmidhuber (2018), *Recurrent World Models Facilitate
Policy Evolution*, on today's PyTorch and Gymnasium. Import what you need from the modules:

    from wmlib.vae import VAE
    from wmlib.worlds import DreamWorld, play
"""

__version__ = "0.1.0"
