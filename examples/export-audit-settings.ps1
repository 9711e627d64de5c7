# Exports all that `sentby check-setup` reads, in one run. It only reads: nothing of the organisation is changed.
#
# Written by Microsoft's documentation of the commands and NOT RUN YET: there was no Exchange Online to run it in. If a
# line of it fails, the commands one by one are in `sentby check-setup --help`.
#
#   Install-Module ExchangeOnlineManagement       once
#   Connect-ExchangeOnline                        as somebody who may read the configuration (View-Only Configuration)
#   ./export-audit-settings.ps1                   audit-settings-1.json, and more where there is much; or: -Out NAME
#   sentby check-setup audit-settings-*.json      with --tenant GUID it is kept
#
# The files name people and mailboxes. They hold no password, no message and no subject of one.
param([string] $Out = 'audit-settings')
$ErrorActionPreference = 'Stop'

# Values as text: a list as a list of names, whatever the version of PowerShell makes of its type.
function Get-Names($values) { , @($values | ForEach-Object { "$_" }) }

$mailboxes = @(Get-Mailbox -ResultSize Unlimited)
$settings = @($mailboxes | Select-Object PrimarySmtpAddress, UserPrincipalName, DisplayName, MailboxRegion, AuditEnabled,
    @{ Name = 'RecipientTypeDetails'; Expression = { "$($_.RecipientTypeDetails)" } },
    @{ Name = 'ExchangeGuid'; Expression = { "$($_.ExchangeGuid)" } },
    @{ Name = 'ExternalDirectoryObjectId'; Expression = { "$($_.ExternalDirectoryObjectId)" } },
    @{ Name = 'AuditLogAgeLimit'; Expression = { "$($_.AuditLogAgeLimit)" } },
    @{ Name = 'DefaultAuditSet'; Expression = { Get-Names $_.DefaultAuditSet } },
    @{ Name = 'AuditDelegate'; Expression = { Get-Names $_.AuditDelegate } },
    @{ Name = 'AuditOwner'; Expression = { Get-Names $_.AuditOwner } },
    @{ Name = 'GrantSendOnBehalfTo'; Expression = { Get-Names $_.GrantSendOnBehalfTo } })

$organization = @(Get-OrganizationConfig | Select-Object AuditDisabled, AllowedMailboxRegions, DefaultMailboxRegion)
$log = @(Get-AdminAuditLogConfig | Select-Object UnifiedAuditLogIngestionEnabled)
$bypass = @(Get-MailboxAuditBypassAssociation -ResultSize Unlimited | Select-Object Identity, Name, AuditBypassEnabled)

# Who may send from each shared mailbox.
$permissions = @($mailboxes | Where-Object { "$($_.RecipientTypeDetails)" -eq 'SharedMailbox' } | ForEach-Object {
    $address = "$($_.PrimarySmtpAddress)"
    Get-RecipientPermission -Identity $address -ResultSize Unlimited | Select-Object Trustee,
        @{ Name = 'Identity'; Expression = { $address } },
        @{ Name = 'AccessControlType'; Expression = { "$($_.AccessControlType)" } },
        @{ Name = 'AccessRights'; Expression = { Get-Names $_.AccessRights } }
    Get-MailboxPermission -Identity $address | Select-Object Deny,
        @{ Name = 'Identity'; Expression = { $address } },
        @{ Name = 'User'; Expression = { "$($_.User)" } },
        @{ Name = 'AccessRights'; Expression = { Get-Names $_.AccessRights } }
})

$all = $settings + $organization + $log + $bypass + $permissions
$part = 0
for ($first = 0; $first -lt $all.Count; $first += 2000) { # a server takes 4 MiB at a time
    $part += 1
    $objects = @($all | Select-Object -Skip $first -First 2000)
    ConvertTo-Json -InputObject $objects -Depth 4 | Out-File -FilePath "$Out-$part.json" -Encoding utf8
}
