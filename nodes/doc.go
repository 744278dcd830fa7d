// Package nodes defines node classes and their registry. A class is a Go struct: tagged fields declare its inputs, Spec
// returns its names, category and outputs, Run does the work. /object_info, defaults, validation and the binding of
// values are derived from the struct and its Spec.
//
// The package must not depend on queues, HTTP, caches or the order in which nodes run.
//
// # A node
//
//	func init() { nodes.Register(&EmptyImage{}) }
//
//	type EmptyImage struct {
//		Width  int `in:"width" default:"512" min:"1" max:"16384" step:"1"`
//		Height int `in:"height" default:"512" min:"1" max:"16384" step:"1"`
//	}
//
//	func (*EmptyImage) Spec() nodes.Spec {
//		return nodes.Spec{Name: "EmptyImage", DisplayName: "Empty Image", Category: "image",
//			Outputs: nodes.Outputs("IMAGE")}
//	}
//
//	func (n *EmptyImage) Run(ctx *nodes.Context) (nodes.Result, error) {
//		return nodes.Out(tensor.New(1, n.Height, n.Width, 3)), nil
//	}
//
// # Tags
//
// A field with the tag `in` is an input of that name. The tags listed here define the input. Every other tag is a widget option of
// /object_info, written in the order of the tags (for v3 classes: in the order of upstream's schema).
//
//	in:"width"            the input's name
//	in:"blocks.#."        on an array: an input for each element, with its number from 0 on in place of #
//	type:"IMAGE"          link or widget type; default: INT, FLOAT, STRING or BOOLEAN by the field's Go type; "*" for any
//	optional:"true"       listed under "optional"
//	hidden:"UNIQUE_ID"    a hidden input: PROMPT, DYNPROMPT, EXTRA_PNGINFO, UNIQUE_ID, …; "true" is the widget option of that name
//	options:"a|b|c"       choices of a combo; a choice that begins with = is a JSON literal ("=3")
//	files:"checkpoints"   a combo of the files of a model folder
//	files:"input:image"   a combo of the input folder's files of a kind (image, video, audio, latent, …)
//	choices:"name"        a combo whose choices the method Choices(env, input) returns; with folder:"vae" if they are files of a model folder
//	opts:"{}"             an empty options dictionary is written for an input without options (v1 classes)
//	autogrow:"image"      a v3 autogrow input (field type nodes.Grown): the name of the repeated input, with
//	                      item:"IMAGE", prefix:"image" or names:"a|b|c", least:"1", most:"50", itemopts:"{…}"
//	match:"id"            a v3 match type input: its template's id, with allowed:"IMAGE,MASK"
//
// A field of type nodes.Choice is a v3 dynamic combo; the method DynamicOptions returns its options.
//
// The value of default is text for STRING, COMBO, COLOR and file inputs and a JSON literal otherwise; tooltip, display, display_name,
// placeholder, label_on, label_off, image_folder, widgetType and component are text; all others are JSON literals.
// A text value that begins with = is a JSON literal. Numbers keep the form they have in the tag: "1.0" stays 1.0.
package nodes
