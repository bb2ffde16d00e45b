"""Models of Transformers and Sentence-Transformers: their folders and their networks."""
