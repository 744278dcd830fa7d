"""Folders of models, inputs and outputs: those of the comfygo that started this process."""

import mimetypes
import os
import time

supported_pt_extensions = {".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"}
base_path = os.getcwd()
models_dir = os.path.join(base_path, "models")
folder_names_and_paths = {}
filename_list_cache = {}
_directories = {}
_old_names = {"unet": "diffusion_models", "clip": "text_encoders"}


def map_legacy(folder_name):
    return _old_names.get(folder_name, folder_name)


def set_up(folders):
    """Takes over comfygo's folders."""
    global base_path, models_dir
    base_path = folders["base"]
    models_dir = os.path.join(base_path, "models")
    for kind in ("output", "input", "temp", "user"):
        _directories[kind] = folders[kind]
    for kind, roots in folders.get("models", {}).items():
        folder_names_and_paths[kind] = (list(roots), set(supported_pt_extensions))
    folder_names_and_paths["custom_nodes"] = (list(folders.get("custom_nodes", [])), set())


def get_output_directory():
    return _directories["output"]


def get_input_directory():
    return _directories["input"]


def get_temp_directory():
    return _directories["temp"]


def get_user_directory():
    return _directories["user"]


def set_output_directory(path):
    _directories["output"] = path


def set_input_directory(path):
    _directories["input"] = path


def set_temp_directory(path):
    _directories["temp"] = path


def set_user_directory(path):
    _directories["user"] = path


def get_directory_by_type(type_name):
    return _directories.get(type_name) if type_name in ("output", "temp", "input") else None


def annotated_filepath(name):
    """Splits "name [output]" into the name and the folder; None where none is named."""
    for kind in ("output", "input", "temp"):
        mark = f"[{kind}]"
        if name.endswith(mark):
            return name[: -len(mark) - 1], _directories[kind]
    return name, None


def get_annotated_filepath(name, default_dir=None):
    name, folder = annotated_filepath(name)
    return os.path.join(folder or default_dir or get_input_directory(), name)


def exists_annotated_filepath(name):
    return os.path.exists(get_annotated_filepath(name))


def add_model_folder_path(folder_name, full_folder_path, is_default=False):
    folder_name = map_legacy(folder_name)
    roots, extensions = folder_names_and_paths.setdefault(folder_name, ([], set(supported_pt_extensions)))
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
    return [f for f in files if ((mimetypes.guess_type(f, strict=False)[0] or "").split("/")[0]) in content_types]


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
        raise FileNotFoundError(f"Model in folder '{folder_name}' with filename '{filename}' not found.")
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
