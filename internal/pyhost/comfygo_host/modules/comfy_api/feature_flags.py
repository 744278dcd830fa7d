"""What clients and the server have told each other they can do. comfygo keeps that of clients; packs see what the server can."""

SERVER_FEATURE_FLAGS = {
    "supports_preview_metadata": True, "supports_model_type_tags": True, "max_upload_size": 100 << 20, "extension": {"manager": {"supports_v4": True}},
    "node_replacements": True, "assets": False,
}


def get_connection_feature(sockets_metadata, sid, feature_name, default=False):
    """Returns what a client has told; sockets_metadata of the server is empty here, so that clients seem to tell nothing."""
    return sockets_metadata.get(sid, {}).get("feature_flags", {}).get(feature_name, default)


def supports_feature(sockets_metadata, sid, feature_name):
    return get_connection_feature(sockets_metadata, sid, feature_name) is True


def get_server_features():
    return dict(SERVER_FEATURE_FLAGS)
