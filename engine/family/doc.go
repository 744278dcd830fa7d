// Package family is the contract between the engine and the model families: what a diffusion model, a text encoder, a
// VAE, a ControlNet or an upscaler declares to the engine, and the registry by which the engine finds the family of a weight
// file.
//
// A family is one folder below this package. It registers itself in an init function and states its rank; the list of
// imports in engine/family/all decides only what is linked. The package and the engine around it name no family.
// docs/adding-a-family.md shows how one is added.
//
// It knows weights, graphs and sampling; it does not know the runtime, sessions, nodes or HTTP.
package family
