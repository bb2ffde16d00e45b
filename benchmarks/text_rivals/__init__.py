"""The rivals on texts, each one process, each printing one JSON line."""
