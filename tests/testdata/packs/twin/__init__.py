"""Has a class of the name that another pack's has."""


class Twin:
    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "go", "tests"

    def go(self):
        return ("of the twin",)


NODE_CLASS_MAPPINGS = {"TwinNode": Twin}
