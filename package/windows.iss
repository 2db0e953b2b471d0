; Inno Setup: an installer for the current user, without administrator rights.
; package/installer.ps1 gives AppVersion and OutputName.

#define AppName "Gemini API Proxy"
#define Program "Gemini API Proxy.exe"
#define Console "gemini-api-proxy.exe"
#define WebView2 "{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}"

[Setup]
AppId={{6B1E0E6C-6E0B-4C0B-9A55-7C1D5B0E4B52}
AppName={#AppName}
AppVersion={#AppVersion}
AppPublisher=The Gemini API Proxy authors
SourceDir=..
OutputDir=out
OutputBaseFilename={#OutputName}
DefaultDirName={localappdata}\Programs\{#AppName}
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
LicenseFile=LICENSE
SetupIconFile=assets\icon.ico
UninstallDisplayIcon={app}\{#Program}
Compression=lzma2
SolidCompression=yes
WizardStyle=modern
CloseApplications=yes
; Held by tray/windows.py: set-up and uninstall ask to close the app first.
AppMutex=GeminiApiProxy
RestartApplications=no

[Tasks]
Name: "desktopicon"; Description: "A shortcut on the desktop"; Flags: unchecked

[InstallDelete]
; What an older version brought and this one does not must not stay in the way.
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "dist\gemini-api-proxy\*"; DestDir: "{app}"; Flags: recursesubdirs ignoreversion
Source: "build\MicrosoftEdgeWebview2Setup.exe"; DestDir: "{tmp}"; Flags: deleteafterinstall; Check: LacksWebView2

[Icons]
Name: "{userprograms}\{#AppName}"; Filename: "{app}\{#Program}"; AppUserModelID: "GeminiApiProxy"
Name: "{userdesktop}\{#AppName}"; Filename: "{app}\{#Program}"; AppUserModelID: "GeminiApiProxy"; Tasks: desktopicon

[Registry]
; "Start at login" is switched on in the app; uninstalling switches it off.
Root: HKCU; Subkey: "Software\Microsoft\Windows\CurrentVersion\Run"; ValueName: "gemini-api-proxy"; Flags: dontcreatekey uninsdeletevalue

[Run]
Filename: "{tmp}\MicrosoftEdgeWebview2Setup.exe"; Parameters: "/silent /install"; StatusMsg: "Installing Microsoft's web view…"; Check: LacksWebView2
Filename: "{app}\{#Program}"; Description: "Start {#AppName}"; Flags: nowait postinstall skipifsilent

[UninstallRun]
Filename: "{sys}\taskkill.exe"; Parameters: "/F /IM ""{#Program}"""; Flags: runhidden; RunOnceId: "StopApp"
Filename: "{sys}\taskkill.exe"; Parameters: "/F /IM ""{#Console}"""; Flags: runhidden; RunOnceId: "StopConsole"

[Code]
function VersionAt(Root: Integer; Key: String): Boolean;
var
  Version: String;
begin
  Result := RegQueryStringValue(Root, Key, 'pv', Version) and (Version <> '') and (Version <> '0.0.0.0');
end;

function LacksWebView2: Boolean;
begin
  Result := not (
    VersionAt(HKLM, 'SOFTWARE\WOW6432Node\Microsoft\EdgeUpdate\Clients\{#WebView2}') or
    VersionAt(HKCU, 'Software\Microsoft\EdgeUpdate\Clients\{#WebView2}'));
end;
