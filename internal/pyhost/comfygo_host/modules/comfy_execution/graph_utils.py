"""Graphs that nodes expand into."""


def is_link(value):
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) in (int, float)


class ExecutionBlocker:
    """As an output's value keeps the nodes behind it from running; a message is told to the client."""

    def __init__(self, message):
        self.message = message


class Node:
    """One node of a graph that is being built."""

    def __init__(self, id, class_type, inputs):
        self.id, self.class_type, self.inputs = id, class_type, inputs
        self.override_display_id = None

    def out(self, index):
        return [self.id, index]

    def set_input(self, key, value):
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key):
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id):
        self.override_display_id = override_display_id

    def serialize(self):
        entry = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            entry["override_display_id"] = self.override_display_id
        return entry


class GraphBuilder:
    """Builds a graph whose ids begin with those of the node that expands into it."""

    _default_prefix_root = ""
    _default_prefix_call_index = 0
    _default_prefix_graph_index = 0

    def __init__(self, prefix=None):
        self.prefix = GraphBuilder.alloc_prefix() if prefix is None else prefix
        self.nodes, self.id_gen = {}, 1

    @classmethod
    def set_default_prefix(cls, prefix_root, call_index, graph_index=0):
        cls._default_prefix_root = prefix_root
        cls._default_prefix_call_index = call_index
        cls._default_prefix_graph_index = graph_index

    @classmethod
    def alloc_prefix(cls, root=None, call_index=None, graph_index=None):
        root = GraphBuilder._default_prefix_root if root is None else root
        call_index = GraphBuilder._default_prefix_call_index if call_index is None else call_index
        graph_index = GraphBuilder._default_prefix_graph_index if graph_index is None else graph_index
        GraphBuilder._default_prefix_graph_index += 1
        return f"{root}.{call_index}.{graph_index}."

    def node(self, class_type, id=None, **kwargs):
        if id is None:
            id, self.id_gen = str(self.id_gen), self.id_gen + 1
        id = self.prefix + id
        if id not in self.nodes:
            self.nodes[id] = Node(id, class_type, kwargs)
        return self.nodes[id]

    def lookup_node(self, id):
        return self.nodes.get(self.prefix + id)

    def finalize(self):
        return {id: node.serialize() for id, node in self.nodes.items()}

    def replace_node_output(self, node_id, index, new_value):
        node_id = self.prefix + node_id
        for node in self.nodes.values():
            for key in [k for k, v in node.inputs.items() if is_link(v) and v[0] == node_id and v[1] == index]:
                if new_value is None:
                    del node.inputs[key]
                else:
                    node.inputs[key] = new_value

    def remove_node(self, id):
        del self.nodes[self.prefix + id]


def add_graph_prefix(graph, outputs, prefix):
    """Puts a prefix before the ids of a graph and the links in it and in outputs."""

    def moved(value):
        return [prefix + value[0], value[1]] if is_link(value) else value

    nodes = {}
    for id, node in graph.items():
        nodes[prefix + id] = {"class_type": node["class_type"], "inputs": {k: moved(v) for k, v in node.get("inputs", {}).items()}}
    return nodes, tuple(moved(v) for v in outputs)
