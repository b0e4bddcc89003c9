"""thymos: read, steer and watch the emotion concepts inside language models."""
