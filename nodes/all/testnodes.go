//go:build testnodes

package all

import _ "comfygo/tests/testnodes" // the nodes of the test program
