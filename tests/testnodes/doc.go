// Package testnodes holds nodes for tests only: those of the conformance corpus (ConfInt, ConfAdd, …) and those of
// upstream's execution test pack (TestLazyMixImages, TestWhileLoopOpen, StubImage, …), with their class names, inputs and behaviour.
//
// Nothing is registered by importing it; the build tag testnodes puts the nodes into the default registry, which makes
// the program bin/comfygo-testnodes. Tests take All or Registry. It knows nothing of HTTP or queues.
package testnodes

import "comfygo/nodes"

// All returns a prototype of every test node.
func All() []nodes.Node { return append(conformance(), testingPack()...) }

// Registry returns the default registry with the test nodes.
func Registry() (*nodes.Registry, error) { return nodes.Default().With(All()...) }
