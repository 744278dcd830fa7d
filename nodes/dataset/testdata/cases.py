# Calls of comfy_extras/nodes_dataset.py; see tests/nodecalls/record.py.
for text in ["", " Grüße, ΑΣ ßtraße \u3000", "a\x1cb\n", "ǆ İ naïve"]:
    case("TextToLowercase", texts=text)
    case("TextToUppercase", texts=text)
    case("StripWhitespace", texts=text)
    case("TruncateText", texts=text, max_length=3)
    case("AddTextPrefix", texts=text, prefix="pre ")
    case("AddTextSuffix", texts=text, suffix=" post")
    case("ReplaceText", texts=text, find="a", replace="bb")
    case("ReplaceText", texts=text, find="", replace="-")
case("MergeTextLists", texts=["a", "b", ""])
case("MergeTextLists", texts=[])

shapes = [(1, 7, 5, 3), (2, 5, 9, 3), (1, 6, 6, 4), (1, 4, 9, 2), (1, 1, 1, 3), (1, 4, 4, 1), (1, 9, 2, 5)]
for i, s in enumerate(shapes):
    case("ResizeImagesByShorterEdge", images=img(*s, seed=i), shorter_edge=4)
    case("ResizeImagesByLongerEdge", images=img(*s, seed=i), longer_edge=6)
    case("CenterCropImages", images=rnd(*s, seed=i, lo=-0.2, hi=1.2), width=4, height=3)
    for seed in [0, 7, 2**32 - 1, 2**64 - 1]:
        case("RandomCropImages", images=img(*s, seed=i), width=3, height=4, seed=seed)
    case("NormalizeImages", images=rnd(*s, seed=i), mean=0.45, std=0.27)
    case("AdjustBrightness", images=rnd(*s, seed=i), factor=1.3)
    case("AdjustContrast", images=rnd(*s, seed=i), factor=1.7)
case("ResizeImagesByLongerEdge", images=img(1, 40, 1, 3), longer_edge=10)
case("ResizeImagesByShorterEdge", images=img(1, 40, 10, 3), shorter_edge=1)
case("AdjustBrightness", images=const(float("nan"), 1, 2, 2, 3), factor=1.3)
case("AdjustContrast", images=const(float("inf"), 1, 2, 2, 3), factor=0.3)
case("NormalizeImages", images=const(1e38, 1, 2, 2, 3), mean=0.1, std=0.001)

for seed in [0, 1, 12345678901234567890, 2**32 - 2, 2**32 - 1]:
    for count in [1, 2, 5]:
        pictures = [img(1, 2, 2, 3, seed=k) for k in range(count)]
        case("ShuffleDataset", images=pictures, seed=[seed])
        case("ShuffleImageTextDataset", images=pictures, texts=[str(k) for k in range(count)], seed=[seed])
        case("ShuffleVideoDataset", videos=list(range(100, 100 + count * 7)), seed=[seed])
        case("ShuffleVideoTextDataset", videos=list(range(count)), texts=[str(k) for k in range(count)], seed=[seed])
case("ShuffleDataset", images=[img(3, 2, 2, 3)], seed=[4])
case("ShuffleDataset", images=[], seed=[4])
case("ShuffleImageTextDataset", images=[img(1, 2, 2, 3), img(1, 2, 2, 3)], texts=["one"], seed=[1])
case("MergeImageLists", images=[img(2, 2, 2, 3), img(1, 3, 2, 4)])
case("MergeImageLists", images=[])

alike = [smooth(1, 24, 20, 3, seed=1), smooth(1, 30, 25, 3, seed=1), smooth(1, 24, 20, 3, seed=2), img(1, 24, 20, 3), smooth(1, 24, 20, 4, seed=1)]
for t in [0.0, 0.5, 0.8, 0.95, 1.0]:
    case("ImageDeduplication", images=alike, similarity_threshold=[t])
case("ImageDeduplication", images=[smooth(1, 9, 9, 2, seed=1), smooth(1, 12, 12, 2, seed=1)], similarity_threshold=[0.9])
case("ImageDeduplication", images=[], similarity_threshold=[0.9])
case("ImageDeduplication", images=[img(1, 4, 4, 1)], similarity_threshold=[0.9])
case("ImageGrid", images=[smooth(1, 20, 30, 3), img(2, 8, 8, 3)], columns=[2], cell_width=[32], cell_height=[33], padding=[3])
case("ImageGrid", images=[smooth(1, 20, 30, 4), smooth(1, 9, 8, 2)], columns=[3], cell_width=[34], cell_height=[32], padding=[0])
case("ImageGrid", images=[], columns=[3], cell_width=[34], cell_height=[32], padding=[0])

lat = [latent(rnd(2, 4, 3, 5, seed=1)), latent(rnd(1, 4, 5, 3, seed=2)), latent(rnd(1, 4, 3, 5, seed=3))]
con = [cond((rnd(1, 2, 3, seed=4), {"a": 1}), (rnd(1, 2, 3, seed=5), {})), cond((rnd(1, 2, 3, seed=6), {})), cond((rnd(1, 2, 3, seed=7), {"pooled_output": rnd(1, 2)}))]
case("ResolutionBucket", latents=lat, conditioning=con)
case("ResolutionBucket", latents=[latent(rnd(1, 16, 2, 3, 5))], conditioning=[con[1]])
case("ResolutionBucket", latents=lat, conditioning=con[:2])
case("ResolutionBucket", latents=lat[:1], conditioning=con[1:2])
case("ResolutionBucket", latents=[lat[0], latent(rnd(1, 3, 3, 5))], conditioning=[con[0], con[1]])

# Folders of files: made once by Pillow, listed in the order of their names.
import folder_paths  # noqa: E402
from PIL import Image  # noqa: E402

here = os.path.dirname(cases_path)
folder_paths.set_input_directory(os.path.join(here, "input"))
listdir = os.listdir
os.listdir = lambda p: sorted(listdir(p))


def pixels(w, h, c, seed):
    return np.floor(uniform(w * h * c, seed) * 256).astype(np.uint8).reshape((h, w, c))


def soft(w, h, seed):
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([(x * 255 // w), (y * 255 // h), ((x + y) * seed * 7 % 256)], -1).astype(np.uint8)


if not os.path.exists(os.path.join(here, "input")):
    os.makedirs(os.path.join(here, "input", "set", "2_twice"))
    os.makedirs(os.path.join(here, "input", "set", "plain"))
    os.makedirs(os.path.join(here, "input", "none"))
    p, lossy = os.path.join(here, "input", "set"), os.path.join(here, "input", "lossy")
    os.makedirs(lossy)
    Image.fromarray(pixels(5, 4, 3, 1)).save(p + "/rgb.png")
    Image.fromarray(pixels(5, 4, 4, 2)).save(p + "/rgba.PNG")
    Image.fromarray(pixels(5, 4, 2, 3)).save(p + "/la.png")
    Image.fromarray(pixels(5, 4, 1, 4)[:, :, 0]).save(p + "/gray.png")
    Image.fromarray((pixels(5, 4, 1, 5)[:, :, 0].astype(np.uint16) * 251)).save(p + "/gray16.png")
    Image.fromarray(pixels(6, 5, 4, 6)).quantize(7).save(p + "/palette.png")
    Image.fromarray(soft(23, 17, 1)).save(lossy + "/soft.jpg", quality=80)
    Image.fromarray(soft(16, 15, 1)).save(lossy + "/full.jpeg", quality=90, subsampling=0)
    Image.fromarray(soft(16, 15, 1)[:, :, 0]).save(lossy + "/gray.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(soft(9, 16, 1)).save(lossy + "/turned.jpg", quality=90, exif=exif)
    Image.fromarray(soft(16, 16, 3)).convert("CMYK").save(lossy + "/cmyk.jpg", quality=90)
    Image.fromarray(pixels(5, 4, 4, 7)).save(p + "/lossless.webp", lossless=True)
    Image.fromarray(soft(17, 18, 2)).save(lossy + "/lossy.webp", quality=80)
    Image.fromarray(pixels(3, 2, 3, 8)).save(p + "/2_twice/a.png")
    Image.fromarray(pixels(2, 3, 3, 9)).save(p + "/plain/b.png")
    for name, text in [("rgb", " a \r\n caption\n"), ("gray16", "Grüße"), ("2_twice/a", "twice"), ("notes", "no image")]:
        with open(p + "/" + name + ".txt", "wb") as f:
            f.write(text.encode())
    with open(os.path.join(here, "input", "none", "readme.md"), "w") as f:
        f.write("not an image\n")

for folder in ["set", "set/plain", "set/2_twice", "none", "missing", "../input/set", "../.."]:
    case("LoadImageDataSetFromFolder", folder=folder)
    case("LoadImageTextDataSetFromFolder", folder=folder)

# libjpeg's and libwebp's integer arithmetic rounds otherwise than Go's decoders: by 2 of 255 at most here.
case("LoadImageDataSetFromFolder", 2.01 / 255, folder="lossy")
case("LoadImageTextDataSetFromFolder", 2.01 / 255, folder="lossy")
