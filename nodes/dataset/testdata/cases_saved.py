# Files of comfy_extras/nodes_dataset.py; see tests/nodecalls/record.py.
pictures = [img(1, 4, 5, 3), img(1, 3, 2, 3, seed=2)]
folder = lambda **more: dict(images=pictures, folder_name=["set"], filename_prefix=["p"], mode=["overwrite"], **more)
saves("SaveImageDataSetToFolder", **folder())
saves("SaveImageDataSetToFolder", images=[img(1, 2, 2, 4)], folder_name=["a/b"], filename_prefix=["x y"], mode=["increment"])
saves("SaveImageDataSetToFolder", before=[("SaveImageDataSetToFolder", folder())], **folder())
saves("SaveImageDataSetToFolder", before=[("SaveImageDataSetToFolder", folder())], images=pictures, folder_name=["set"], filename_prefix=["p"], mode=["increment"])
saves("SaveImageTextDataSetToFolder", texts=["one", "zwei ü\n"], **folder())
saves("SaveImageTextDataSetToFolder", images=pictures, texts=["one", "two"], folder_name=["set"], filename_prefix=["p"], mode=["increment"], before=[("SaveImageTextDataSetToFolder", folder(texts=["a", "b"]))])
saves("SaveImageTextDataSetToFolder", texts=["one"], **folder())
latents = [latent(rnd(1, 4, 2, 2, seed=3)), latent(rnd(1, 4, 3, 2, seed=4))]
conds = [cond((rnd(1, 3, 4, seed=5), {"pooled_output": rnd(1, 4, seed=6)})), cond((rnd(1, 3, 4, seed=7), {}))]
training = lambda size: dict(latents=latents, conditioning=conds, folder_name=["train"], shard_size=[size])
for size in [1, 1000]:
    saves("SaveTrainingDataset", **training(size))
    saves("LoadTrainingDataset", before=[("SaveTrainingDataset", training(size))], folder_name="train")
saves("SaveImageDataSetToFolder", images=[img(2, 3, 2, 3)], folder_name=["set"], filename_prefix=["p"], mode=["overwrite"])
saves("LoadTrainingDataset", folder_name="missing")
