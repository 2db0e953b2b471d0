# Makes out/gemini-api-proxy-NAME-setup.exe of dist/ with Inno Setup and package/windows.iss.
param([Parameter(Mandatory)][string]$Name)
$ErrorActionPreference = "Stop"
New-Item -ItemType Directory -Force build, out | Out-Null

# Windows 10 may lack the web view that the window needs: Microsoft's own small installer comes along.
$bootstrapper = "build\MicrosoftEdgeWebview2Setup.exe"
Invoke-WebRequest "https://go.microsoft.com/fwlink/p/?LinkId=2124703" -OutFile $bootstrapper
$signature = Get-AuthenticodeSignature $bootstrapper
if ($signature.Status -ne "Valid" -or $signature.SignerCertificate.Subject -notmatch "O=Microsoft Corporation") {
    throw "The WebView2 installer is not signed by Microsoft."
}

$version = python -c "import server; print(server.__version__)"
if (-not (Get-Command iscc -ErrorAction SilentlyContinue)) {
    $env:Path += ";${env:ProgramFiles(x86)}\Inno Setup 6"
}
iscc /Qp "/DAppVersion=$version" "/DOutputName=gemini-api-proxy-$Name-setup" package\windows.iss
if ($LASTEXITCODE -ne 0) { throw "iscc ended with $LASTEXITCODE" }
