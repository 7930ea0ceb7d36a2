"""svipc(7): shared memory segments, message queues and semaphore sets."""
