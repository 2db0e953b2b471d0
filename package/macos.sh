#!/usr/bin/env bash
# The macOS steps of a release. Each needs a Mac.
#   macos.sh sign            sign the app in dist/ with MACOS_IDENTITY (certificate in MACOS_CERTIFICATE)
#   macos.sh image NAME      put it into out/gemini-api-proxy-NAME.dmg
#   macos.sh notarise NAME   let Apple check that image, and staple the answer to it
set -euo pipefail
cd "$(dirname "$0")/.."
app="dist/Gemini API Proxy.app"
image="out/gemini-api-proxy-${2:-}.dmg"

sign() {
  local chain="$RUNNER_TEMP/build.keychain" password
  password="$(uuidgen)"
  security create-keychain -p "$password" "$chain"
  security set-keychain-settings -lut 3600 "$chain"
  security unlock-keychain -p "$password" "$chain"
  base64 --decode <<<"$MACOS_CERTIFICATE" >"$RUNNER_TEMP/certificate.p12"
  security import "$RUNNER_TEMP/certificate.p12" -k "$chain" -P "$MACOS_CERTIFICATE_PASSWORD" -T /usr/bin/codesign
  rm "$RUNNER_TEMP/certificate.p12"
  security set-key-partition-list -S apple-tool:,apple: -s -k "$password" "$chain" >/dev/null
  # The user's own keychains stay in the list.
  security list-keychains -d user -s "$chain" $(security list-keychains -d user | tr -d '"')
  # --deep signs no code outside the usual places; each library is signed first, the app last.
  find "$app/Contents" -type f \( -name '*.so' -o -name '*.dylib' -o -perm -u+x \) -print0 |
    xargs -0 codesign --force --timestamp --options runtime --sign "$MACOS_IDENTITY" \
      --entitlements assets/entitlements.plist
  codesign --force --timestamp --options runtime --sign "$MACOS_IDENTITY" \
    --entitlements assets/entitlements.plist "$app"
}

make_image() {
  # An app whose signature broke on the way is "damaged" on the user's Mac.
  codesign --verify --deep --strict "$app"
  local stage
  stage="$(mktemp -d)"
  cp -R "$app" "$stage/"
  ln -s /Applications "$stage/Applications"
  mkdir -p out
  hdiutil create -volname "Gemini API Proxy" -srcfolder "$stage" -ov -format UDZO "$image"
}

notarise() {
  xcrun notarytool submit "$image" --wait --apple-id "$NOTARY_APPLE_ID" \
    --team-id "$NOTARY_TEAM_ID" --password "$NOTARY_PASSWORD"
  xcrun stapler staple "$image"
}

case "${1:-}" in
  sign) sign ;;
  image) make_image ;;
  notarise) notarise ;;
  *) sed -n 3,5p "$0" >&2; exit 2 ;;
esac
