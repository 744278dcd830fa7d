package executor

import (
	"math"
	"reflect"
	"sort"
	"time"

	"github.com/shirou/gopsutil/v4/mem"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

const (
	gib = 1 << 30
	// smallEntry is the weight of a result without measurable memory: it counts a little, so that age decides among such results.
	smallEntry = 0.05
	// ageFactor makes results of older prompts go first.
	ageFactor = 1.3
	// largeEntry is the size from which results of the running prompt are dropped first.
	largeEntry = 512 << 20
	// memoryCheck is the interval at which the machine's free memory is measured while nodes run.
	memoryCheck = 50 * time.Millisecond
	// While results are dropped, free memory is measured after this many of them or this many bytes.
	checkEvery = 64
	checkBytes = 8 << 20
)

// ramCache keeps results of the current prompt, and older ones while memory lasts.
type ramCache struct {
	lruCache
	headroom, inactive int64
	total              int64 // of the machine; so much is never free
	available          func() int64
	touched            map[cacheKey]int64 // order of last use
	clock              int64
	checked            time.Time
	checkedIn          uint64 // the generation of the last check: the first node of a run always checks
}

func newRAM(c CacheConfig) *ramCache {
	r := &ramCache{lruCache: *newLRU(0), headroom: c.Headroom, inactive: c.InactiveHeadroom, available: c.Available, touched: map[cacheKey]int64{}}
	if r.available == nil {
		r.available = func() int64 {
			m, err := mem.VirtualMemory()
			if err != nil {
				return math.MaxInt64 // nothing is dropped on a machine that cannot tell
			}
			return int64(m.Available)
		}
	}
	total := c.Total
	if total == nil {
		total = func() int64 {
			m, err := mem.VirtualMemory()
			if err != nil {
				return 16 * gib
			}
			return int64(m.Total)
		}
	}
	r.total = total()
	if r.headroom == 0 {
		r.headroom = min(10*gib, max(2*gib, r.total/10))
	}
	if r.inactive == 0 {
		r.inactive = min(128*gib, r.total)
	}
	return r
}

// reached reports whether target bytes are free. Measuring costs as much as a small node, so it is skipped for an impossible target.
func (c *ramCache) reached(target int64) bool { return target < c.total && c.available() >= target }

func (c *ramCache) begin(g *graph, k *keyMaker, ids []string) {
	c.start(g, k, ids)
	for key := range c.used {
		if c.used[key] < c.generation && c.data[key] == nil {
			delete(c.used, key)
			delete(c.touched, key)
		}
	}
}

func (c *ramCache) stamp(id string) {
	if key, ok := c.keys.keys[id]; ok {
		c.clock++
		c.touched[key] = c.clock
	}
}

func (c *ramCache) get(id string) *entry {
	c.stamp(id)
	return c.lruCache.get(id)
}

func (c *ramCache) set(id string, e *entry) {
	c.stamp(id)
	c.lruCache.set(id, e)
}

func (c *ramCache) touch(id string, e *entry) { c.set(id, e) }

func (c *ramCache) expand(id string, children []string) { c.grow(id, children) }

// after drops results of earlier prompts, and under pressure those of the running prompt too, the large ones first.
func (c *ramCache) after() {
	now := time.Now()
	due := now.Sub(c.checked) >= memoryCheck
	if !due && c.checkedIn == c.generation {
		return
	}
	c.checkedIn = c.generation
	c.release(c.inactive, false, 0)
	if !due {
		return
	}
	c.checked = now
	if c.available() < c.headroom {
		c.release(c.headroom, true, largeEntry)
		c.release(c.headroom, true, 0)
	}
}

type candidate struct {
	key         cacheKey
	score, size float64
	used        int64
}

// release drops results, the worst first, until target bytes are free. active says whether those of the running prompt may go.
func (c *ramCache) release(target int64, active bool, smallest float64) {
	var list []candidate
	for key, e := range c.data {
		current := c.used[key] == c.generation
		if current && !active {
			continue
		}
		size := smallEntry + bytesOf(e)
		if size < smallest {
			continue
		}
		score := size
		if !current && holdsModel(e) {
			score = 1e30 // old models go first
		}
		score *= math.Pow(ageFactor, float64(c.generation-c.used[key]))
		list = append(list, candidate{key, score, size, c.touched[key]})
	}
	if len(list) == 0 || c.reached(target) {
		return
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].score != list[j].score {
			return list[i].score > list[j].score
		}
		return list[i].used > list[j].used
	})
	freed := 0.0
	for i, e := range list {
		if i%checkEvery == checkEvery-1 || freed >= checkBytes {
			freed = 0
			if c.reached(target) {
				return
			}
		}
		freed += e.size
		c.drop(e.key)
		delete(c.touched, e.key)
	}
}

// sized is implemented by values that know their size in host memory.
type sized interface{ MemoryBytes() int64 }

// bytesOf adds up the host memory that a result holds. It is measured once: what is large may be a tree of small values.
func bytesOf(e *entry) float64 {
	if e.bytes == nil {
		total := measure(e)
		e.bytes = &total
	}
	return *e.bytes
}

func measure(e *entry) float64 {
	total := 0.0
	for _, list := range e.outputs {
		for _, v := range list {
			total += float64(valueBytes(v))
		}
	}
	return total
}

func valueBytes(v any) int64 {
	switch v := v.(type) {
	case sized:
		return v.MemoryBytes()
	case *tensor.Tensor:
		return tensorBytes(v)
	case engine.Latent:
		return tensorBytes(v.Samples) + tensorBytes(v.NoiseMask)
	case engine.Conditioning:
		n := int64(0)
		for _, c := range v {
			n += tensorBytes(c.Tokens) + tensorBytes(c.Pooled)
		}
		return n
	case []any:
		n := int64(0)
		for _, x := range v {
			n += valueBytes(x)
		}
		return n
	}
	return nodes.TextBytes(v)
}

func tensorBytes(t *tensor.Tensor) int64 {
	if t == nil {
		return 0
	}
	return int64(len(t.Data)) * 4
}

// holdsModel reports whether a result holds a value of package engine that represents a loaded model.
func holdsModel(e *entry) bool {
	pkg := reflect.TypeFor[engine.Latent]().PkgPath()
	for _, list := range e.outputs {
		for _, v := range list {
			if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == pkg {
				return true
			}
		}
	}
	return false
}
