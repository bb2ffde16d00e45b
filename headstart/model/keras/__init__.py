"""Models of Keras: read in a child process, cut into blocks, run through Keras' torch backend."""
