"""gatewise: train, see into and ship LSTM models on sequences of any kind."""
