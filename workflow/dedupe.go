package workflow

import (
	"math"
	"strconv"

	"comfygo/internal/pyjson"
)

// dedupe gives nodes of subgraphs new ids where another graph has a node of the same id, as the front end does: values
// are kept by node id. Links and the old lists of shown widgets follow. The objects are changed in place.
func dedupe(root *pyjson.Object, subgraphs []*pyjson.Object) {
	if len(subgraphs) == 0 {
		return
	}
	last := int64(0)
	if v, ok := root.Get("last_node_id"); ok {
		if f, ok := float(v); ok {
			last = int64(f)
		}
	}
	if f, ok := float(first(root.Object("state").Get("lastNodeId"))); ok {
		last = max(last, int64(f))
	}
	used := map[string]bool{}
	for _, n := range nodesOf(root) {
		id, _ := n.Get("id")
		if f, ok := float(id); ok {
			used[key(id)] = true
			last = max(last, int64(min(f, math.MaxInt32)))
		}
	}
	renamed := map[string]map[string]int64{}
	for _, s := range subgraphs {
		if moved := renumberNodes(s, used, &last); len(moved) > 0 {
			renamed[key(idOf(s))] = moved
			moveLinks(s, moved)
		}
	}
	for _, s := range append(subgraphs, root) {
		for _, n := range nodesOf(s) {
			moved := renamed[n.String("type")]
			proxies, _ := n.Object("properties").Get("proxyWidgets")
			for _, p := range list(proxies) {
				if entry := list(p); len(entry) > 0 {
					if id, ok := moved[key(entry[0])]; ok {
						entry[0] = strconv.FormatInt(id, 10)
					}
				}
			}
		}
	}
}

func nodesOf(g *pyjson.Object) []*pyjson.Object {
	v, _ := g.Get("nodes")
	var out []*pyjson.Object
	for _, n := range list(v) {
		if o, ok := n.(*pyjson.Object); ok {
			out = append(out, o)
		}
	}
	return out
}

// renumberNodes gives nodes with used ids new ones and returns them by the old.
func renumberNodes(g *pyjson.Object, used map[string]bool, last *int64) map[string]int64 {
	moved := map[string]int64{}
	for _, n := range nodesOf(g) {
		id, _ := n.Get("id")
		k := key(id)
		if !used[k] {
			used[k] = true
			if i, err := strconv.ParseInt(k, 10, 32); err == nil {
				*last = max(*last, i)
			}
			continue
		}
		*last++
		for used[strconv.FormatInt(*last, 10)] {
			*last++
		}
		moved[k] = *last
		n.Set("id", *last)
		used[strconv.FormatInt(*last, 10)] = true
	}
	return moved
}

func moveLinks(g *pyjson.Object, moved map[string]int64) {
	links, _ := g.Get("links")
	for _, v := range list(links) {
		l := object(v)
		for _, end := range []string{"origin_id", "target_id"} {
			id, _ := l.Get(end)
			if to, ok := moved[key(id)]; ok {
				l.Set(end, to)
			}
		}
	}
}

// leavesFirst sorts subgraphs so that each comes after those that it uses; where they use each other in a circle the order
// stays.
func leavesFirst(subgraphs []*pyjson.Object) []*pyjson.Object {
	byID := map[string]*pyjson.Object{}
	for _, s := range subgraphs {
		if k := key(idOf(s)); byID[k] == nil {
			byID[k] = s
		}
	}
	users := map[string][]string{}
	waits := map[string]int{}
	for _, s := range subgraphs {
		seen := map[string]bool{}
		for _, n := range nodesOf(s) {
			if t := n.String("type"); byID[t] != nil && !seen[t] {
				seen[t] = true
				users[t] = append(users[t], key(idOf(s)))
				waits[key(idOf(s))]++
			}
		}
	}
	var queue, order []string
	for _, s := range subgraphs {
		if waits[key(idOf(s))] == 0 {
			queue = append(queue, key(idOf(s)))
		}
	}
	for len(queue) > 0 {
		id := queue[0]
		queue, order = queue[1:], append(order, id)
		for _, u := range users[id] {
			if waits[u]--; waits[u] == 0 {
				queue = append(queue, u)
			}
		}
	}
	if len(order) != len(subgraphs) {
		return subgraphs
	}
	out := make([]*pyjson.Object, len(order))
	for i, id := range order {
		out[i] = byID[id]
	}
	return out
}
