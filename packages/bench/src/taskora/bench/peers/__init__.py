"""Side by side with other queues, each in an environment of its own. Nothing is imported here: drivers are in there."""
