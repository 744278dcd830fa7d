"""Files of images, as packs look for them."""

from comfygo_absent import Absent, attributes


class FolderOfImages(Absent):
    comfygo_name = "comfy.k_diffusion.utils.FolderOfImages"
    IMG_EXTENSIONS = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}


__getattr__ = attributes("comfy.k_diffusion.utils")
