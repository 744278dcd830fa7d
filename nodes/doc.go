// Package nodes holds the registry of node classes and the one description of a node: a Go struct whose
// tagged fields are its inputs, a Spec for the rest, and a Run method. /object_info, defaults, validation and
// binding are all derived from it.
//
// The package knows nothing of queues, HTTP, caches or the order in which nodes run.
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
// The tag `in` names the input and makes the field one. Tags of the second group shape the input; every other tag is
// a widget option of /object_info and is written there in the order of the tags (v3 classes: in the order upstream's schema writes them).
//
//	in:"width"            the input's name
//	in:"blocks.#."        on an array: an input for each element, with its number from 0 on in place of #
//	type:"IMAGE"          link or widget type; left out it is INT, FLOAT, STRING or BOOLEAN by the field's Go type, "*" for any
//	optional:"true"       listed under "optional"
//	hidden:"UNIQUE_ID"    a hidden input: PROMPT, DYNPROMPT, EXTRA_PNGINFO, UNIQUE_ID, …; "true" is the widget option of that name
//	options:"a|b|c"       a combo's choices; a choice beginning with = is a JSON literal ("=3")
//	files:"checkpoints"   a combo of the files of a model folder
//	files:"input:image"   a combo of the input folder's files of a kind (image, video, audio, latent, …)
//	choices:"name"        a combo whose choices the node gives by Choices(env, input), with folder:"vae" when these are files of a model folder
//	opts:"{}"             the empty options dictionary is written although there are no options (v1 classes)
//	autogrow:"image"      a v3 autogrow input (field type nodes.Grown): the name of the repeated input, with
//	                      item:"IMAGE", prefix:"image" or names:"a|b|c", least:"1", most:"50", itemopts:"{…}"
//	match:"id"            a v3 match type input: its template's id, with allowed:"IMAGE,MASK"
//	(a field of type nodes.Choice is a v3 dynamic combo; the node lists its options by DynamicOptions)
//
// The value of default is text for STRING, COMBO, COLOR and file inputs and a JSON literal otherwise; tooltip, display, display_name,
// placeholder, label_on, label_off, image_folder, widgetType and component are text; all others are JSON literals.
// A text value that begins with = is a JSON literal. Numbers keep the form they have in the tag: "1.0" stays 1.0.
package nodes
