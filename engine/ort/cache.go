package ort

import "comfygo/engine/ort/cache"

// Cache keeps networks by key under a budget of bytes; see the package cache.
type Cache[V any] = cache.Cache[string, V]

// NewCache makes a cache whose values are closed by their Close method.
func NewCache[V interface{ Close() }](budget int64) *Cache[V] {
	return cache.New[string](budget, func(v V) { v.Close() })
}
