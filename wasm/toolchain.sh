#!/bin/sh
# A wasm32-unknown-unknown standard library where `rustup target add wasm32-unknown-unknown` is not possible.
#
# Why: Debian packages the compiler and the library's sources (rustc-web cargo-web rust-web-src lld-16), not the library built for this
# target. This builds it once from those sources, with the SIMD and bulk-memory features that the crates are built with, and puts it into
# the compiler's sysroot, after which `node wasm/build.mjs` works with that compiler first in PATH. Run as root; 2 minutes.
# Copied this way the library carries no bitcode for link-time optimisation: the packages come out a few per cent larger.
set -eu
target=wasm32-unknown-unknown
: "${RUSTC:=/usr/bin/rustc}" "${CARGO:=/usr/bin/cargo}"
if [ ! -x "$RUSTC" ] || [ ! -x "$CARGO" ]; then
  echo "Missing compiler: apt-get install rustc-web cargo-web rust-web-src lld-16" >&2
  exit 1
fi
sysroot=$("$RUSTC" --print sysroot)
library="$sysroot/lib/rustlib/$target/lib"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
printf '#![no_std]\n' > "$work/src/lib.rs"
printf '[package]\nname = "std-for-wasm"\nversion = "0.0.0"\nedition = "2021"\n\n[profile.release]\npanic = "abort"\n' > "$work/Cargo.toml"
cd "$work"
# -Zbuild-std is unstable; RUSTC_BOOTSTRAP allows it on a release compiler.
RUSTC_BOOTSTRAP=1 RUSTC="$RUSTC" CARGO_ENCODED_RUSTFLAGS="-Ctarget-feature=+simd128,+bulk-memory" \
  "$CARGO" build --release --target "$target" -Zbuild-std=std,panic_abort
mkdir -p "$library"
for file in target/$target/release/deps/*.rlib; do
  case $file in *libstd_for_wasm-*) ;; *) cp "$file" "$library/" ;; esac
done
echo "Built the $target library into $library"
