"""Folders of models, inputs and outputs: those of the comfygo that started this process."""

import mimetypes
import os
import time

supported_pt_extensions = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"}
base_path = os.getcwd()
models_dir = os.path.join(base_path, "models")
folder_names_and_paths = {}
filename_list_cache = {}
output_directory = input_directory = temp_directory = user_directory = ""
extension_mimetypes_cache = {"webp": "image", "fbx": "model"}
SYSTEM_USER_PREFIX = "__"
_old_names = {"unet": "diffusion_models", "clip": "text_encoders"}


def map_legacy(folder_name):
    return _old_names.get(folder_name, folder_name)


def set_up(folders):
    """Takes over comfygo's folders."""
    global base_path, models_dir
    base_path = folders["base"]
    models_dir = os.path.join(base_path, "models")
    for kind in ("output", "input", "temp", "user"):
        globals()[kind + "_directory"] = folders[kind]
    for kind, roots in folders.get("models", {}).items():
        folder_names_and_paths[kind] = (list(roots), set(supported_pt_extensions))
    folder_names_and_paths["custom_nodes"] = (list(folders.get("custom_nodes", [])), set())


def get_output_directory():
    return output_directory


def get_input_directory():
    return input_directory


def get_temp_directory():
    return temp_directory


def get_user_directory():
    return user_directory


def set_output_directory(path):
    global output_directory
    output_directory = path


def set_input_directory(path):
    global input_directory
    input_directory = path


def set_temp_directory(path):
    global temp_directory
    temp_directory = path


def set_user_directory(path):
    global user_directory
    user_directory = path


def get_directory_by_type(type_name):
    return globals()[type_name + "_directory"] if type_name in ("output", "temp", "input") else None


def annotated_filepath(name):
    """Splits "name [output]" into the name and the folder; None where none is named."""
    for kind in ("output", "input", "temp"):
        mark = f"[{kind}]"
        if name.endswith(mark):
            return name[: -len(mark) - 1], globals()[kind + "_directory"]
    return name, None


def is_within_directory(directory, target):
    """Reports whether a path, with all links followed, lies in a folder."""
    try:
        directory = os.path.realpath(directory)
        return os.path.commonpath((directory, os.path.realpath(target))) == directory
    except ValueError:  # a path with a zero byte, or of another drive
        return False


def get_annotated_filepath(name, default_dir=None):
    """Returns the path of a file that a prompt names; ValueError for one outside of its folder."""
    name, folder = annotated_filepath(name)
    folder = folder or default_dir or get_input_directory()
    path = os.path.abspath(os.path.join(folder, name))
    if not is_within_directory(folder, path):
        raise ValueError(f"{name!r} is outside of its folder")
    return path


def exists_annotated_filepath(name):
    try:
        return os.path.exists(get_annotated_filepath(name))
    except ValueError:
        return False


def get_input_subfolders():
    """Returns the folders below the input folder, with forward slashes."""
    root = get_input_directory()
    below = (os.path.relpath(folder, root).replace(os.sep, "/") for folder, _, _ in os.walk(root))
    return sorted(folder for folder in below if folder != ".")


def get_system_user_directory(name="system"):
    """Returns the folder of a user that no client may name."""
    if not isinstance(name, str) or not name.replace("_", "").isalnum() or name.startswith("_"):
        raise ValueError(f"a system user is named by letters, digits and underscores, not {name!r}")
    return os.path.join(user_directory, SYSTEM_USER_PREFIX + name)


def get_public_user_directory(user_id):
    """Returns the folder of a user that clients may name, None for others."""
    if not user_id or not isinstance(user_id, str) or user_id.startswith(SYSTEM_USER_PREFIX):
        return None
    return os.path.join(user_directory, user_id)


def add_model_folder_path(folder_name, full_folder_path, is_default=False):
    folder_name = map_legacy(folder_name)
    roots, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))  # files of every kind in a folder of the pack's own
    if full_folder_path in roots:
        if is_default:
            roots.remove(full_folder_path)
            roots.insert(0, full_folder_path)
        return
    roots.insert(0 if is_default else len(roots), full_folder_path)


def get_folder_paths(folder_name):
    return folder_names_and_paths[map_legacy(folder_name)][0][:]


def recursive_search(directory, excluded_dir_names=None):
    files, folders = [], {}
    if not os.path.isdir(directory):
        return files, folders
    excluded = excluded_dir_names or []
    for folder, below, names in os.walk(directory, followlinks=True, topdown=True):
        below[:] = [d for d in below if d not in excluded]
        folders[folder] = os.path.getmtime(folder)
        files += [os.path.relpath(os.path.join(folder, n), directory) for n in names]
    return files, folders


def filter_files_extensions(files, extensions):
    return sorted(f for f in files if len(extensions) == 0 or os.path.splitext(f)[-1].lower() in extensions)


def filter_files_content_types(files, content_types):
    """Returns the files of some types: image, video, audio, or model, which is one in three dimensions."""
    out = []
    for file in files:
        ending = file.split(".")[-1]
        if ending not in extension_mimetypes_cache:
            kind = mimetypes.guess_type(file, strict=False)[0]
            if kind is None:
                continue
            extension_mimetypes_cache[ending] = kind.split("/")[0]
        if extension_mimetypes_cache[ending] in content_types:
            out.append(file)
    return out


def get_filename_list(folder_name):
    roots, extensions = folder_names_and_paths[map_legacy(folder_name)]
    found = set()
    for root in roots:
        found.update(filter_files_extensions(recursive_search(root, [".git"])[0], extensions))
    return sorted(found)


def get_full_path(folder_name, filename):
    entry = folder_names_and_paths.get(map_legacy(folder_name))
    if entry is None:
        return None
    filename = os.path.relpath(os.path.join("/", filename), "/")
    for root in entry[0]:
        path = os.path.join(root, filename)
        if os.path.isfile(path):
            return path
    return None


def get_full_path_or_raise(folder_name, filename):
    path = get_full_path(folder_name, filename)
    if path is None:
        raise FileNotFoundError(f"there is no model file {filename!r} in the folder {folder_name}")
    return path


def get_save_image_path(filename_prefix, output_dir, image_width=0, image_height=0):
    """Returns folder, name, next number, subfolder and prefix for a file to be saved; the folder is made."""
    if "%" in filename_prefix:
        now = time.localtime()
        for token, value in (
            ("%width%", image_width), ("%height%", image_height), ("%year%", now.tm_year), ("%month%", f"{now.tm_mon:02}"),
            ("%day%", f"{now.tm_mday:02}"), ("%hour%", f"{now.tm_hour:02}"), ("%minute%", f"{now.tm_min:02}"), ("%second%", f"{now.tm_sec:02}"),
        ):
            filename_prefix = filename_prefix.replace(token, str(value))
    subfolder, filename = os.path.split(os.path.normpath(filename_prefix))
    folder = os.path.join(output_dir, subfolder)
    if os.path.commonpath((output_dir, os.path.abspath(folder))) != output_dir:
        raise Exception(f"Saving image outside the output folder is not allowed: {folder}")
    os.makedirs(folder, exist_ok=True)
    numbers = [0]
    for name in os.listdir(folder):
        if os.path.normcase(name).startswith(os.path.normcase(filename) + "_"):
            digits = name[len(filename) + 1 :].split("_")[0].split(".")[0]
            if digits.isdigit():
                numbers.append(int(digits))
    return folder, filename, max(numbers) + 1, subfolder, filename_prefix
