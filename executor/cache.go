package executor

import (
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// entry is a node's result: for each output the list of its values, and what was shown.
type entry struct {
	outputs [][]any
	ui      *shown
	bytes   *float64 // what outputs take; nil before bytesOf
}

// list returns the values of an output, counted from the end if slot is negative. A nil entry has no values.
func (e *entry) list(slot int) ([]any, bool) {
	if e == nil || e.outputs == nil {
		return nil, false
	}
	if slot < 0 {
		slot += len(e.outputs)
	}
	if slot < 0 || slot >= len(e.outputs) {
		return nil, false
	}
	return e.outputs[slot], true
}

// shown is a UI output with the ids it was first shown under.
type shown struct {
	output, meta *pyjson.Object
}

// warned reports whether the node warned of something when it ran.
func (e *entry) warned() bool {
	if e.ui == nil || e.ui.output == nil {
		return false
	}
	_, ok := e.ui.output.Get(nodes.UIWarnings)
	return ok
}

// ownerKey names the cache below a node: results of expanded nodes belong to the node's id and class.
type ownerKey struct{ id, class string }

// keySet is the keys of the nodes that a cache knows in the current run.
type keySet struct {
	keys   map[string]cacheKey
	owners map[string]ownerKey
}

func (s *keySet) add(k *keyMaker, ids []string) {
	for _, id := range ids {
		n, ok := k.g.nodes[id]
		if _, there := s.keys[id]; there || !ok {
			continue
		}
		s.keys[id] = k.key(n)
		s.owners[id] = ownerKey{id, n.class.Name}
	}
}

func newKeySet(k *keyMaker, ids []string) *keySet {
	s := &keySet{keys: make(map[string]cacheKey, len(ids)), owners: make(map[string]ownerKey, len(ids))}
	s.add(k, ids)
	return s
}

// outputCache keeps results by node id during a run, and from run to run by key.
type outputCache interface {
	// begin starts a run over the prompt's nodes and drops what the policy drops then.
	begin(g *graph, k *keyMaker, ids []string)
	// get returns a result or nil; it counts as a use.
	get(id string) *entry
	// peek is get without counting as a use where the policy makes a difference.
	peek(id string) *entry
	// find returns the result with a key or nil; it does not count as a use. kept is false when nothing is ever kept.
	find(key cacheKey) (e *entry, kept bool)
	// set keeps a result.
	set(id string, e *entry)
	// touch keeps a result that a later node still holds, should it have been dropped meanwhile.
	touch(id string, e *entry)
	// expand makes room for the nodes that a node expanded into.
	expand(id string, children []string)
	// after runs when a node is done.
	after()
	// known lists the ids of all nodes the cache has keys for.
	known() []string
}

// noCache keeps nothing.
type noCache struct{}

func (noCache) begin(*graph, *keyMaker, []string) {}
func (noCache) get(string) *entry                 { return nil }
func (noCache) peek(string) *entry                { return nil }
func (noCache) find(cacheKey) (*entry, bool)      { return nil, false }
func (noCache) set(string, *entry)                {}
func (noCache) touch(string, *entry)              {}
func (noCache) expand(string, []string)           {}
func (noCache) after()                            {}
func (noCache) known() []string                   { return nil }

func newCache(c CacheConfig) outputCache { return living{storeOf(c)} }

// living hides results whose values were lost with the process that held them, so that they are computed again.
type living struct{ outputCache }

func (l living) get(id string) *entry  { return l.outputCache.get(id).living() }
func (l living) peek(id string) *entry { return l.outputCache.peek(id).living() }

func (l living) find(key cacheKey) (*entry, bool) {
	e, kept := l.outputCache.find(key)
	return e.living(), kept
}

// living returns the entry, nil if a value of it is gone.
func (e *entry) living() *entry {
	if e == nil {
		return nil
	}
	for _, list := range e.outputs {
		if !nodes.Live(list) {
			return nil
		}
	}
	return e
}

func storeOf(c CacheConfig) outputCache {
	switch c.Kind {
	case CacheNone:
		return noCache{}
	case CacheClassic:
		return &classicCache{}
	case CacheLRU:
		return newLRU(c.Size)
	}
	return newRAM(c)
}
