package ortlib

import (
	"path"
	"strings"

	"comfygo/internal/download"
)

// Version is the pinned ONNX Runtime; FallbackVersion is the newest one in the npm package.
const (
	Version         = "1.31.1"
	FallbackVersion = "1.30.0"
)

// DefaultRelease is the page below which the project publishes its release archives.
const DefaultRelease = "https://github.com/microsoft/onnxruntime/releases/download"

// The kinds of asset.
const (
	Wheel   = download.Wheel
	Package = download.Package
	Release = download.Release
)

// Asset is one archive that holds the library.
type Asset struct {
	Kind     download.Kind
	Project  string // distribution name: onnxruntime, onnxruntime-gpu, onnxruntime-node
	Version  string
	Platform string // wheel platform tag, or the platform part of a release archive's name
	SHA256   string // of the archive; empty when the user has to give it
	Files    []File // what to take out of it; the library itself comes first
}

// item is the asset as package download knows it.
func (a Asset) item(o Options) download.Item {
	item := download.Item{Kind: a.Kind, Project: a.Project, Version: a.Version, Platform: a.Platform, SHA256: a.SHA256}
	if a.Kind == Release {
		item.URL = strings.TrimSuffix(o.Release, "/") + "/v" + a.Version + "/" + a.Project + "-" + a.Platform + "-" + a.Version + ".tgz"
	}
	return item
}

// File is one file inside an archive.
type File struct {
	Member string // path in the archive
	Size   int64
	SHA256 string // empty when only the archive is checked
}

func wheel(tag, sum, library string, size int64, librarySum string) Asset {
	return Asset{
		Kind: Wheel, Project: "onnxruntime", Version: Version, Platform: tag, SHA256: sum,
		Files: []File{{"onnxruntime/capi/" + library, size, librarySum}},
	}
}

func npm(dir, library string, size int64, librarySum string) Asset {
	return Asset{
		Kind: Package, Project: "onnxruntime-node", Version: FallbackVersion, Platform: dir,
		SHA256: "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75",
		Files:  []File{{path.Join("package/bin/napi-v6", dir, library), size, librarySum}},
	}
}

func release(name, library string) Asset {
	top := "onnxruntime-" + name + "-" + Version
	return Asset{
		Kind: Release, Project: "onnxruntime", Version: Version, Platform: name,
		Files: []File{{Member: path.Join(top, "lib", library)}},
	}
}

// cpuAssets lists, for each platform, what can be fetched, best first. The sums were taken from the published files.
var cpuAssets = map[string][]Asset{
	"linux/amd64": {
		wheel("manylinux_2_28_x86_64", "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
			"libonnxruntime.so.1.31.1", 29352200, "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3"),
		npm("linux/x64", "libonnxruntime.so.1", 45828512, "ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23"),
		release("linux-x64", "libonnxruntime.so.1.31.1"),
	},
	"linux/arm64": {
		wheel("manylinux_2_28_aarch64", "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
			"libonnxruntime.so.1.31.1", 25265040, "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467"),
		npm("linux/arm64", "libonnxruntime.so.1", 25135496, "1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76"),
		release("linux-aarch64", "libonnxruntime.so.1.31.1"),
	},
	"darwin/arm64": {
		wheel("macosx_14_0_arm64", "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
			"libonnxruntime.1.31.1.dylib", 33037336, "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36"),
		npm("darwin/arm64", "libonnxruntime.1.dylib", 44589928, "685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d"),
		release("osx-arm64", "libonnxruntime.1.31.1.dylib"),
	},
	"windows/amd64": {
		wheel("win_amd64", "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
			"onnxruntime.dll", 19288376, "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306"),
		npm("win32/x64", "onnxruntime.dll", 28754232, "508c362f5673483dd3a086379c392795b2e42d10d5e6f3f90ebd7ac21c97af67"),
	},
	"windows/arm64": {
		wheel("win_arm64", "fe8b9ac1ae8e894e12c47ee82e4f6dfc1835768133687257866469fda80d0bf1",
			"onnxruntime.dll", 19171640, "dc9e2fe646a72829386a24ac9185a7a4e26d7dbe5dc433d41df063603c00bbc7"),
		npm("win32/arm64", "onnxruntime.dll", 29815136, "6c3a2abf5c6aca11c48a0d338a91af309f2266f25ce2e4084e6a87bbcb0fbfd0"),
	},
}

// cudaAssets holds the builds with NVIDIA providers: CUDA 13, compute capability 7.5 and newer.
var cudaAssets = map[string][]Asset{
	"linux/amd64": {{
		Kind: Wheel, Project: "onnxruntime-gpu", Version: Version, Platform: "manylinux_2_28_x86_64",
		SHA256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
		Files: []File{
			{"onnxruntime/capi/libonnxruntime.so.1.31.1", 29421832, "5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303"},
			{"onnxruntime/capi/libonnxruntime_providers_cuda.so", 284014752, "8387867e857499e045caff5d13ac6a5de29571c801562fa2dde0e45f1f31de52"},
			{"onnxruntime/capi/libonnxruntime_providers_shared.so", 14632, "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"},
		},
	}},
}

// assets lists what can be fetched for a platform.
func assets(platform string, cuda bool) []Asset {
	if cuda {
		return cudaAssets[platform]
	}
	return cpuAssets[platform]
}

// pinned returns the first choice for a platform.
func pinned(platform string, cuda bool) (Asset, bool) {
	all := assets(platform, cuda)
	if len(all) == 0 {
		return Asset{}, false
	}
	return all[0], true
}

// folder names the cache folder of a kind of build.
func folder(o Options) string {
	if o.CUDA {
		return Version + "-cuda13"
	}
	return Version + "-cpu"
}
