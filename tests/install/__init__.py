"""The ways in on servers: the Docker image, ``setup.sh``, the systemd unit."""
