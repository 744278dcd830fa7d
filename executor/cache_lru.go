package executor

// lruCache keeps at least the results that the current prompt uses, and results of earlier prompts up to a number
// of entries.
type lruCache struct {
	size       int
	oldest     uint64 // entries last used before this generation are gone
	generation uint64 // counts the prompts
	g          *graph
	maker      *keyMaker
	keys       *keySet
	data       map[cacheKey]*entry
	used       map[cacheKey]uint64
	below      map[ownerKey][]string // expanded nodes, for known
	ids        []string
}

func newLRU(size int) *lruCache {
	return &lruCache{size: size, data: map[cacheKey]*entry{}, used: map[cacheKey]uint64{}, below: map[ownerKey][]string{}}
}

func (c *lruCache) start(g *graph, k *keyMaker, ids []string) {
	c.g, c.maker, c.ids = g, k, ids
	c.keys = newKeySet(k, ids)
	c.generation++
	for _, id := range ids {
		c.mark(id)
	}
	cleanBelow(c.keys, c.below)
}

func (c *lruCache) begin(g *graph, k *keyMaker, ids []string) {
	c.start(g, k, ids)
	c.clean()
}

func (c *lruCache) clean() {
	for len(c.data) > c.size && c.oldest < c.generation {
		c.oldest++
		for key := range c.data {
			if c.used[key] < c.oldest {
				c.drop(key)
			}
		}
	}
	for key, generation := range c.used { // keys without a result
		if generation < c.generation && c.data[key] == nil {
			delete(c.used, key)
		}
	}
}

func (c *lruCache) drop(key cacheKey) {
	delete(c.data, key)
	delete(c.used, key)
}

func (c *lruCache) mark(id string) {
	if key, ok := c.keys.keys[id]; ok {
		c.used[key] = c.generation
	}
}

func (c *lruCache) peek(id string) *entry {
	key, ok := c.keys.keys[id]
	if !ok {
		return nil
	}
	return c.data[key]
}

func (c *lruCache) get(id string) *entry {
	c.mark(id)
	return c.peek(id)
}

func (c *lruCache) find(key cacheKey) (*entry, bool) { return c.data[key], true }

func (c *lruCache) set(id string, e *entry) {
	if key, ok := c.keys.keys[id]; ok {
		c.used[key] = c.generation
		c.data[key] = e
	}
}

func (c *lruCache) touch(id string, e *entry) { c.set(id, e) }

func (c *lruCache) grow(id string, children []string) {
	if owner, ok := c.keys.owners[id]; ok {
		c.below[owner] = children
	}
	c.keys.add(c.maker, children)
	c.mark(id)
	for _, child := range children {
		c.mark(child)
	}
}

func (c *lruCache) expand(id string, children []string) {
	c.grow(id, children)
	c.clean()
}

func (c *lruCache) after() {}

func (c *lruCache) known() []string {
	out := append([]string(nil), c.ids...)
	for _, ids := range c.below {
		out = append(out, ids...)
	}
	return out
}
