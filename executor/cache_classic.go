package executor

// classicCache keeps only the results that the current prompt uses. Results of expanded nodes are in caches below their parents.
type classicCache struct {
	g     *graph
	maker *keyMaker
	keys  *keySet
	data  map[cacheKey]*entry
	below map[ownerKey]*classicCache
	ids   []string
}

func (c *classicCache) begin(g *graph, k *keyMaker, ids []string) {
	c.g, c.maker, c.ids = g, k, ids
	c.keys = newKeySet(k, ids)
	if c.data == nil {
		c.data, c.below = map[cacheKey]*entry{}, map[ownerKey]*classicCache{}
	}
	c.clean()
}

func (c *classicCache) clean() {
	used := make(map[cacheKey]bool, len(c.keys.keys))
	for _, key := range c.keys.keys {
		used[key] = true
	}
	for key := range c.data {
		if !used[key] {
			delete(c.data, key)
		}
	}
	cleanBelow(c.keys, c.below)
}

func cleanBelow[C any](s *keySet, below map[ownerKey]C) {
	owners := make(map[ownerKey]bool, len(s.owners))
	for _, o := range s.owners {
		owners[o] = true
	}
	for o := range below {
		if !owners[o] {
			delete(below, o)
		}
	}
}

// home returns the cache that a node belongs to, or nil if its parent has none.
func (c *classicCache) home(id string) *classicCache {
	n, ok := c.g.nodes[id]
	if !ok || n.parent == nil {
		return c
	}
	above := c.home(n.parent.id)
	if above == nil {
		return nil
	}
	owner, ok := above.keys.owners[n.parent.id]
	if !ok {
		return nil
	}
	return above.below[owner]
}

func (c *classicCache) get(id string) *entry {
	h := c.home(id)
	if h == nil || h.keys == nil {
		return nil
	}
	key, ok := h.keys.keys[id]
	if !ok {
		return nil
	}
	return h.data[key]
}

func (c *classicCache) peek(id string) *entry { return c.get(id) }

func (c *classicCache) find(key cacheKey) (*entry, bool) { return c.data[key], true }

func (c *classicCache) set(id string, e *entry) {
	h := c.home(id)
	if h == nil || h.keys == nil {
		return
	}
	if key, ok := h.keys.keys[id]; ok {
		h.data[key] = e
	}
}

func (c *classicCache) touch(id string, e *entry) { c.set(id, e) }

func (c *classicCache) expand(id string, children []string) {
	h := c.home(id)
	if h == nil {
		return
	}
	owner, ok := h.keys.owners[id]
	if !ok {
		return
	}
	sub := h.below[owner]
	if sub == nil {
		sub = &classicCache{}
		h.below[owner] = sub
	}
	sub.begin(c.g, c.maker, children)
}

func (c *classicCache) after() {}

func (c *classicCache) known() []string {
	out := append([]string(nil), c.ids...)
	for _, sub := range c.below {
		out = append(out, sub.known()...)
	}
	return out
}
