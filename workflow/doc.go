// Package workflow turns the workflows that the front end saves into the prompts that the server runs.
//
// A saved workflow describes what a person sees: nodes with positions, widgets by their place in a list, links by
// number, subgraphs with widgets of their own, notes and reroutes. A prompt (the API format) has for each node a class
// and its inputs by name. Convert does what the front end does in between: it makes the nodes of a workflow from their
// definitions (/object_info), gives their widgets the saved values, resolves what is muted, bypassed, rerouted, primitive or
// inside a subgraph, and writes down what is left. It is written after the behaviour of comfyui-frontend-package
// 1.49.6 (its graphToPrompt and what loading does before) and compared with it by tests/browser.
//
//	defs.go, spec.go        node definitions, in the order in which the front end makes widgets
//	read.go, dedupe.go      the saved workflow, schema 0.4 and 1.0
//	make.go, widgets.go     nodes as they are when they are new
//	dynamic.go, custom.go   inputs that come and go with values and links
//	configure.go            saved values and links put into new nodes
//	host.go, promote.go     nodes that stand for subgraphs, and the widgets of inner nodes shown on them
//	primitive.go, group.go  primitives; group nodes of old workflows
//	resolve.go, prompt.go   from links to origins, and the prompt
//	text.go                 {a|b} and comments in texts, %date% and %node.widget% in file names
//
// The package must not know HTTP, queues or how nodes run: node definitions are handed to it.
package workflow
